"""Look inside a model: traces, gradient norms, probes, clamped gates and gradient checks."""
