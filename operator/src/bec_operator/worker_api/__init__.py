"""What workers call: who is calling is proved, what is told is noted, what to do is answered."""
