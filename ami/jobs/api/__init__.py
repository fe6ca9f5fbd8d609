"""The API of jobs: what operators see and do, and the two calls that workers live on."""
