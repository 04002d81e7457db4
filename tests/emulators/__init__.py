"""Emulators of cloud services, for tests and the demo. See README.md in this folder."""
