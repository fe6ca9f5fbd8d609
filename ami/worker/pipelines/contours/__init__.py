"""The parts of the classical detector: background, blobs, artefacts, detection."""
