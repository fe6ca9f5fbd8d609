"""Places where captures lie: buckets of S3 servers, and folders on this one."""
