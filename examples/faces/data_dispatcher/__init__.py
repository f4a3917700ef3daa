"""Workers of Data Dispatcher."""
