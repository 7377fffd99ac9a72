"""Figures of a running master for monitoring systems, as OpenMetrics; loaded only where they are asked for."""
