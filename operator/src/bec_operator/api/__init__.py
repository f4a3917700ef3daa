"""The resources `Job` and `VolumeTask` as pydantic models, their names, and the CRD generator."""
