"""What authors of plug-ins test against: conformance suites to inherit, and a clock that is moved by hand."""
