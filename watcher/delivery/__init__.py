"""Where results go: names that are safe on any file system, and the folder they are written to."""

from watcher.delivery.folder import FolderDelivery

__all__ = ["FolderDelivery"]
