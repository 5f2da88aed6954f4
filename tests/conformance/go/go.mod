module chainperp.example/conformance

go 1.21

require golang.org/x/mod v0.21.0
