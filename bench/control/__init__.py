"""The bench of the control plane: how fast jobs are taken, handed out and ended, and what stays so as they grow in number."""
