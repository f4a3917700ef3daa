"""The face for workers of Data Dispatcher: a project is a Job, a file of it is a volume."""
