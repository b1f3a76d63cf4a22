"""Relay as a back end of other software's interfaces: `relay.backend.onnx`."""
