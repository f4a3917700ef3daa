"""Workers of other systems, as people have them: they run unchanged against the operator."""
