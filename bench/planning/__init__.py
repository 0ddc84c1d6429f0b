"""From a request to tasks."""
