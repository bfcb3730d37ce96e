"""Distiller's compression schedules, read into the one engine."""
