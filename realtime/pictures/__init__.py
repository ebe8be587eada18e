"""Where pictures go: virtual camera, files, window; and what they carry: badge, provenance."""
