"""The bundled newsroom: stories, page templates, and a loopback server."""

from __future__ import annotations
