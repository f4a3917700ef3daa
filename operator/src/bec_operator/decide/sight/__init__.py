"""What is seen: lean records of what there is in the cluster, and the words for it."""
