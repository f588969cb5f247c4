"""Traces, histograms and logs; whatever exports them is loaded only when it is configured."""
