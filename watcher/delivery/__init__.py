"""Where results go: names that are safe anywhere, and the folder or object store they are written to."""

from watcher.delivery.folder import FolderDelivery
from watcher.delivery.object_store import ObjectStoreDelivery

Delivery = FolderDelivery | ObjectStoreDelivery
"""A place that results are brought to; both have the same methods with the same meaning."""

__all__ = ["Delivery", "FolderDelivery", "ObjectStoreDelivery"]
