# SPDX-License-Identifier: Apache-2.0
"""What models, images and services have in common: words about them, changed by `sardonyx KIND update`."""
import datetime

from azureml.core import _command


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


class Asset:
    """Of a workspace. `kind` is the command's word for it; `_take` reads what the command says of it."""

    kind = None

    def __repr__(self):
        shown = ("workspace", "name", "id", "version", "tags", "properties")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name, None)}' for name in shown)})"

    @property
    def _reference(self):
        return self.id

    def _ask(self, verb, *words, **more):
        return _command.ask(self.kind, verb, *words, workspace=self.workspace._folder, **more)

    def _take(self, workspace, facts):
        self.workspace, self.id, self.name = workspace, facts["id"], facts["name"]
        self.version = facts.get("version")
        self._take_words(facts)
        self.created_time, self.created_by = moment(facts.get("created")), None

    def _take_words(self, facts):
        self.tags, self.properties, self.description = facts["tags"], facts["properties"], facts["description"]

    def _change(self, tags=None, removed=(), properties=None, description=None):
        words = [*_command.options("tag", _command.pairs(tags)), *_command.options("remove-tag", removed),
                 *_command.options("property", _command.pairs(properties)), *_command.option("description", description)]
        self._take_words(self._ask("update", self._reference, *words))

    def _exactly(self, tags):
        """Options for these tags and no others."""
        wanted = _command.pairs(tags)
        kept = {pair.partition("=")[0] for pair in wanted}
        return [*_command.options("tag", wanted), *_command.options("remove-tag", [key for key in self.tags if key not in kept])]

    def _replace_tags(self, tags):
        words = self._exactly(tags)
        if words:
            self._take_words(self._ask("update", self._reference, *words))

    def add_tags(self, tags):
        """Adds tags, or gives those that are there another value."""
        self._change(tags=tags)

    def remove_tags(self, tags):
        """Takes tags away: a list of their keys, or one key."""
        self._change(removed=[tags] if isinstance(tags, str) else list(tags))

    def add_properties(self, properties):
        """Adds properties; those that are there never change."""
        self._change(properties=properties)

    def delete(self):
        """Removes it from the workspace; what something else is made of stays, and the message says of what."""
        self._ask("delete", self._reference)


def listed(kind, workspace, name=None, tags=None, properties=None, *words):
    """What the command lists, newest first. Tags and properties: keys, or [key, value]."""
    found = _command.ask(kind, "list", *_command.option("name", name), *_command.options("tag", _command.pairs(tags)),
                         *_command.options("property", _command.pairs(properties)), *words, workspace=workspace._folder)
    return found[::-1]
