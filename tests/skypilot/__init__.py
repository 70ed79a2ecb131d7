"""SkyPilot's own provisioner beside ours: `make test-skypilot`, in an environment that has SkyPilot."""
