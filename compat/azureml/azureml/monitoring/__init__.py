# SPDX-License-Identifier: Apache-2.0
"""ModelDataCollector: what a score.py got and answered, kept as CSV. It is on where AML_MODEL_DC_STORAGE_ENABLED is
true; the files lie in the folder that AML_MODEL_DC_STORAGE names, else in the one for temporary files. Under 'sardonyx serve --collect' the server keeps them."""
import csv
import datetime
import json
import os
import pathlib
import sys
import tempfile
import uuid

DESIGNATIONS = ("inputs", "predictions", "labels", "signals", "general")


class ModelDataCollector:
    """Collects rows beneath modeldata/WORKSPACE/SERVICE/MODEL/VERSION/DESIGNATION/YEAR/MONTH/DAY."""

    AML_DC_CORRELATION_HEADER = "$aml_dc_correlation_id"
    AML_DC_SCORING_TIMESTAMP_HEADER = "$aml_dc_scoring_timestamp"
    AML_DC_BOUNDARY_HEADER = "$aml_dc_boundary"
    AML_WORKSPACE_HEADER = "$aml_workspace"
    AML_SERVICE_NAME_HEADER = "$aml_service_name"
    AML_MODEL_NAME_HEADER = "$aml_model_name"
    AML_MODEL_VERSION_HEADER = "$aml_model_version"
    AML_REQUEST_ID_HEADER = "$aml_request_id"

    def __init__(self, model_name, designation="default", feature_names=None, workspace="default/default/default",
                 webservice_name="default", model_version="default", collection_name="default"):
        designation = "general" if designation == "default" else designation
        if designation not in DESIGNATIONS:
            print(f"the designation {designation!r} is none of {', '.join(DESIGNATIONS)}: nothing is collected")
        self._on = os.environ.get("AML_MODEL_DC_STORAGE_ENABLED", "").lower() == "true" and designation in DESIGNATIONS
        self._designation, self._names = designation, list(feature_names or ())
        self.workspace, self.service_name = workspace.lower(), os.environ.get("SERVICE_NAME", webservice_name)
        self.model_name, self.model_version = model_name, model_version
        self.filename = f"{collection_name if designation in ('signals', 'general') else designation}.csv"

    def _path(self, now):
        storage = os.environ.get("AML_MODEL_DC_STORAGE") or tempfile.gettempdir()
        return pathlib.Path(storage, "modeldata", self.workspace, self.service_name, self.model_name, str(self.model_version),
                            self._designation, f"{now:%Y/%m/%d}", self.filename)

    def _correlations(self, identifier, now):
        return {self.AML_DC_CORRELATION_HEADER: identifier or str(uuid.uuid4()),
                self.AML_DC_SCORING_TIMESTAMP_HEADER: now.strftime("%Y-%m-%dT%H:%M:%S.%f"),
                self.AML_WORKSPACE_HEADER: self.workspace, self.AML_SERVICE_NAME_HEADER: self.service_name,
                self.AML_MODEL_NAME_HEADER: self.model_name, self.AML_MODEL_VERSION_HEADER: self.model_version}

    def collect(self, input_data, user_correlation_id=""):
        """Keeps rows: a list, an array or a data frame. Of inputs it returns what tells which answers belong to them, for
        add_correlations; of others nothing."""
        if not self._on:
            return None
        now = datetime.datetime.now(datetime.timezone.utc)
        found = self._correlations(user_correlation_id, now) if self._designation == "inputs" else None
        names = [str(name) for name in getattr(input_data, "columns", self._names)]
        rows = [[*row, *(found or {}).values()] for row in _rows(input_data)]
        host = getattr(sys.modules["__main__"], "host", None)
        if host:  # a sandboxed worker: the server keeps them
            host.send("collect", json.dumps(rows, default=str).encode(), model=self.model_name, version=str(self.model_version),
                      identifier=self._designation, file=self.filename[:-4], names=[*names, *(found or ())] if names else [])
            return found
        path = self._path(now)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        with open(path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if fresh and names:
                writer.writerow([*names, *(found or ())])
            writer.writerows(rows)
        return found

    def add_correlations(self, input_data, correlations):
        """The data with the correlations of its inputs as further columns."""
        if not correlations:
            return input_data
        if hasattr(input_data, "assign"):
            return input_data.assign(**correlations)
        return [[*row, *correlations.values()] for row in _rows(input_data)]


def _rows(data):
    """Rows of a list, an array or a data frame."""
    rows = data.values.tolist() if hasattr(data, "values") and not callable(data.values) else getattr(data, "tolist", lambda: data)()
    return rows if rows and isinstance(rows[0], (list, tuple)) else [rows]
