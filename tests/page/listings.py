# SPDX-License-Identifier: Apache-2.0
"""Runs the Python listings of one edition in order, in one namespace as a notebook has it, then deploys their image.

    python listings.py EDITION'S_FOLDER BODY...    (in a workspace with a model, score.py and myenv.yml; writes result.json)
"""
import json
import pathlib
import sys
import urllib.error
import urllib.request

import numpy


def ask(uri, body, key=None):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        with urllib.request.urlopen(urllib.request.Request(uri, body.encode(), headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def deploy(workspace, image, bodies):
    """What comes of the image: answers with the key and without, or why it does not come up."""
    from azureml.core.webservice import AciWebservice, Webservice
    from azureml.exceptions import WebserviceException
    service = Webservice.deploy_from_image(workspace=workspace, name="the-service", image=image,
                                           deployment_config=AciWebservice.deploy_configuration(auth_enabled=True), overwrite=True)
    try:
        service.wait_for_deployment(show_output=True)
        key = service.get_keys()[0]
        return {"answers": [ask(service.scoring_uri, body, key) for body in bodies], "refused": ask(service.scoring_uri, bodies[0])[0],
                "runs": [service.run(body) for body in bodies], "state": service.state}
    except WebserviceException as error:
        return {"failed": error.message, "error": service.error, "logs": service.get_logs()}
    finally:
        service.delete()


def main():
    folder, bodies = pathlib.Path(sys.argv[1]), sys.argv[2:]
    # Names that the listings use and do not make.
    names = {"indata1": numpy.ones((1, 3), numpy.float32), "indata2": numpy.full((1, 3), 2, numpy.float32), "__name__": "__main__"}
    run = []
    for path in sorted(folder.iterdir())[1:]:
        if path.suffix == ".py":
            exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
        else:
            from azureml.core.conda_dependencies import CondaDependencies
            names["environment"] = CondaDependencies(str(path)).as_dict()
        run.append(path.name)
    found = {"run": run, "results": [value.tolist() for value in names["results"]], "first": [names["first_input_name"], names["first_output_name"]],
             "workspace": names["ws"].name, "model": names["model"].id, "tags": names["model"].tags, "image": names["image"].id,
             "service": deploy(names["ws"], names["image"], bodies)}
    pathlib.Path("result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
