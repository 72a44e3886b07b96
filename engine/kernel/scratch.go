package kernel

// scratch holds the buffers that kernels reuse from batch to batch.
type scratch struct{}
