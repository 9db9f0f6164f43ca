"""Look inside a model: traces, gradients by lag, probes, clamped gates, finite differences."""
