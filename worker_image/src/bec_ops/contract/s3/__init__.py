"""How S3 is talked to, and what it means when it does not answer well."""
