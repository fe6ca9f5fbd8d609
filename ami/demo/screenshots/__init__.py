"""Pictures of the pages for the documentation, taken of a demo: `python -m ami.demo.screenshots`.

It does what docs/tutorial/first-job.md tells its reader to do, over HTTP like a browser, and takes a picture
of what the reader would see. Run it by hand before a release, and look at the pictures.
"""
