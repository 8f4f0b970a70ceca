"""Forecasting and change point detection on recorded streams."""
