"""A real kubelet, real containers, images from our Dockerfiles, the chart."""
