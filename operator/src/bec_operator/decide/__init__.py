"""Pure functions: what is seen, and the time → what to do. No I/O, no clock, no logging."""
