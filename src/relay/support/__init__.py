"""What every layer uses: source spans, diagnostics, printing helpers, graph walks."""
