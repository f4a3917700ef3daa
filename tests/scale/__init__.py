"""Scale: thousands of volumes on nodes that are not there."""
