"""Where results go: names that are safe anywhere, and the folder or object store they are written to."""

from watcher.delivery.folder import FolderDelivery
from watcher.delivery.object_store import ObjectStoreDelivery

__all__ = ["FolderDelivery", "ObjectStoreDelivery"]
