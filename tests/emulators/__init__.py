"""Emulators of cloud services, for tests and the demo. See README.md beside this file."""
