module oxherd.interop/net

go 1.19

require (
	github.com/anishathalye/porcupine v1.0.0
	github.com/go-zookeeper/zk v1.0.4
	golang.org/x/sys v0.20.0
)
