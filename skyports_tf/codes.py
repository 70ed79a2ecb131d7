"""Every kind of finding: its code, what it means and the way out.

docs/errors.md is written from this table (`make docs`), and `Diagnostic` refuses a code
that is not in it, so neither can fall behind the other.
"""

from __future__ import annotations

from typing import Final

from skyports_tf.codes_adoption import ADOPTION_CODES
from skyports_tf.codes_exposure import EXPOSURE_CODES
from skyports_tf.codes_fleets import FLEET_CODES
from skyports_tf.codes_life import LIFE_CODES
from skyports_tf.codes_pipelines import PIPELINE_CODES
from skyports_tf.codes_policy import POLICY_CODES
from skyports_tf.codes_review import REVIEW_CODES
from skyports_tf.codes_tasks import TASK_CODES

#: code -> (meaning, way out), one sentence each.
CODES: Final[dict[str, tuple[str, str]]] = {
    # reading files
    "file-missing": ("The file does not exist.", "Check the path."),
    "file-unreadable": ("The file cannot be read.", "Check its permissions."),
    "file-is-directory": ("A folder stands where a file is needed.", "Name a file in it."),
    "file-too-large": ("The file is far larger than any task file.", "Check that the path is the right one."),
    "file-not-text": ("The file is not UTF-8 text.", "Save it as UTF-8."),
    "file-empty": ("The file holds no task.", "Write a task, such as `run: echo hello`."),
    # running terraform
    "terraform-missing": (
        "There is no Terraform that can be run.",
        "Install Terraform or OpenTofu, or `pip install 'skyports-tf[embedded]'`.",
    ),
    "terraform-failed": (
        "Terraform ran and failed; its own words follow.",
        "Do what Terraform says, then run the same command again.",
    ),
    "opens-unseen": (
        "The tree was compiled anew meanwhile, and the next step would open what nobody agreed to.",
        "Look at `plan`, and apply it.",
    ),
    "terraform-warning": ("Terraform warned of something.", "Do what Terraform says, or leave it."),
    "interrupted": (
        "A signal stopped the run, and Terraform has ended in order.",
        "Run the same command again to go on.",
    ),
    "plan-replaced": (
        "The saved plan is no longer the one that was shown.",
        "Plan again, and look at the new plan.",
    ),
    "gap-possible": (
        "A port stays open by the plan, but may be closed for a moment while its rules change.",
        "Do what the help says, or apply when a moment matters least.",
    ),
    "stack-missing": ("The folder of a stack does not exist.", "Compile its tasks again, or check `--out`."),
    "still-open": (
        "Something of the stack is left after it was destroyed.",
        "Run destroy again; what is left is named.",
    ),
    "group-held": (
        "The ports are closed, but nodes or network interfaces still hold the group.",
        "Stop what the message names (`sky down`), then run destroy again.",
    ),
    "left-over": (
        "Something of the cluster is left in the cloud, by its name or its tag, and in no state.",
        "Look at what the message names, and remove it; `sky down` removes what is SkyPilot's.",
    ),
    "not-swept": (
        "The state is empty after a destroy, but the cloud could not be looked at.",
        "Let the credentials read, and run destroy again; docs/clouds.md says what a provider cannot see.",
    ),
    **ADOPTION_CODES,
    **PIPELINE_CODES,
    **FLEET_CODES,
    # running other programs
    "skypilot-missing": (
        "SkyPilot is needed, and there is none that can be run.",
        "Put `sky` on PATH, or name it as `skypilot.binary` in the config or as $SKY.",
    ),
    "skypilot-arguments": (
        "What is said to SkyPilot contradicts what is said to us, or what the ports need.",
        "Say it once, as the help says.",
    ),
    "skypilot-failed": (
        "SkyPilot has ended with an error; its own words stand above.",
        "The ports are as the help says; run the same command again to go on.",
    ),
    "launch-kind": (
        "The file holds several tasks, and `sky launch` takes one.",
        "Open the ports with `apply`, then start it with `sky jobs launch`.",
    ),
    "step-stopped": (
        "A verb of several steps has stopped between two of them.",
        "The message says what holds now, the help how to go on.",
    ),
    "nodes-run": (
        "Nodes of a cluster run, or may run, so what guards them was not removed.",
        "Shut the cluster down, then run `down` again.",
    ),
    "command-missing": (
        "The command that `run` was given cannot be run.",
        "Check the words after the dashes.",
    ),
    "held-open": (
        "Ports that `run` has opened could not be closed again.",
        "Do what the help says: they stay open until then.",
    ),
    "group-kept": (
        "The ports are closed, and the group stays as long as nodes of the cluster run.",
        "Nothing; `down` removes it with the cluster.",
    ),
    "stays-open": (
        "A task was in the ledger before `run`, so its ports stay open after it.",
        "Nothing, if that is what you want; else take it out with `--forget`.",
    ),
    # configuration
    "backend-unknown": (
        "The config names a Terraform backend that is not known.",
        "Use one of the backends that the help names.",
    ),
    "backend-key": (
        "The config sets what tells the states of stacks apart, and says the same for all.",
        "Leave it out: it is made per stack; or let it differ by {cluster} and {place}.",
    ),
    "backend-key-shared": (
        "Two stacks of the tree would keep their states in one place, and overwrite each other's.",
        "Do what the help says.",
    ),
    "config-value": ("A value of the config cannot be used.", "Change it as the message says."),
    "config-secret": (
        "The config would put a secret into generated files, or holds one itself.",
        "Remove it, and give it to Terraform as the help says.",
    ),
    "bad-source": (
        "A source is neither a CIDR block nor one of the cloud's own kinds of source.",
        "Write it as 203.0.113.0/24 or 2001:db8::/32.",
    ),
    "bad-expiry": (
        "`expires` is neither a duration nor a date.",
        "Write 8h, 2026-12-01, 2026-12-01T18:00Z or never.",
    ),
    # clouds, regions and names
    "cluster-name": ("The cluster's name is none that SkyPilot takes.", "Give one with `--cluster`."),
    "cloud-default": (
        "A task names no cloud, and the default is used.",
        "Name the cloud in the task, or `clouds` in the config.",
    ),
    "cloud-left-out": (
        "Some of a task's clouds cannot be managed, and the others were compiled.",
        "Nothing, if that is what you want.",
    ),
    "cloud-unsupported": (
        "The ports of this cloud cannot be managed by Terraform.",
        "Do what the help says, or name another cloud.",
    ),
    "cloud-unknown": (
        "SkyPilot knows no cloud of this name.",
        "Check the spelling; `skyports-tf clouds` lists them.",
    ),
    "region-default": (
        "A task names no region, and the default is used.",
        "Pin the region in the task or in the config.",
    ),
    "region-missing": (
        "The cloud needs a region, and none is named.",
        "Name it in the task or in the config.",
    ),
    "region-invalid": ("The text is no region of the cloud.", "Check the spelling."),
    "no-ports": (
        "A task asks for no ports.",
        "Nothing, if that is what you want; else add `resources.ports`.",
    ),
    "mode-unsupported": ("The cloud has no such mode.", "Use one of the modes that the help names."),
    "user-hash-unknown": (
        "SkyPilot's user hash is needed and unknown.",
        "Set `user_hash` in the config or the variable SKYPILOT_USER_ID.",
    ),
    "name-too-long": (
        "An object's name would be longer than the cloud allows.",
        "Choose a shorter cluster name.",
    ),
    # limits of the clouds
    "quota-exceeded": (
        "More rules are needed than the cloud's quota allows.",
        "Ask for fewer ranges or sources, or raise the quota and say so in the config.",
    ),
    "source-unsupported": ("The cloud takes no source of this kind.", "Use a kind that the help names."),
    "protocol-unsupported": (
        "The cloud cannot open ports of this protocol with the config's settings.",
        "Change the setting that the message names.",
    ),
    "bad-description": (
        "The cloud takes no rule description with these characters.",
        "Use the characters that the help names.",
    ),
    "bad-tag": ("The cloud takes no such tag.", "Change it as the message says."),
    # the tasks of a cluster
    "task-unknown": ("No ledger holds the task that `--forget` names.", "Name its file, or the task's name."),
    "task-gone": (
        "The file of a task whose ports are open does not exist any more.",
        "Take the task out with `--forget`, or compile its file at its new place as well.",
    ),
    "task-renamed": (
        "A task got another name, and with it another cluster: the old cluster's ports stay open.",
        "Take the old task out with `--forget`, or destroy the old cluster.",
    ),
    "port-expired": (
        "The time of a port is over, so it is not opened.",
        "Say `--expires` with a new time, or change `expires` in the config.",
    ),
    # the tree
    "file-foreign": (
        "A file that is not ours stands where a generated file belongs.",
        "Move it away, or choose another `--out`.",
    ),
    "file-unwritable": (
        "The tree cannot be written.",
        "Check permissions and space; what was written is whole.",
    ),
    "ledger-invalid": ("A stack's stack.json is damaged.", "Restore it from version control."),
    "cluster-unknown": ("The tree holds no such cluster or stack folder.", "Check the spelling and `--out`."),
    # the command line
    "tree-outdated": (
        "A file of the tree differs from what the tasks compile to.",
        "Run the same `compile` without `--check`, and commit the tree.",
    ),
    "not-confirmed": (
        "Ports would change, and there is nobody to ask.",
        "Look at `plan`, then say `--yes`.",
    ),
    "open-to-internet": (
        "A plan opens ports to every address of the internet.",
        "Name who may reach them: `--source`, or `sources` in skyports.yaml.",
    ),
    "endpoint-missing": (
        "The cluster has no such endpoint, or no node of it is known.",
        "Launch the cluster, apply again, and ask for a port that is open.",
    ),
    "endpoint-ambiguous": (
        "The cluster runs in several places, so it has several addresses.",
        "Name the folder of one stack.",
    ),
    "bad-user-hash": (
        "The text is no user hash of SkyPilot's.",
        "Write letters, digits and hyphens, as in SkyPilot's file ~/.sky/user_hash.",
    ),
    "setting-missing": (
        "The cloud needs a setting that the config does not have.",
        "Set it as the help says.",
    ),
    "name-invalid": (
        "An object's name would break the cloud's rules for names.",
        "Choose another cluster name.",
    ),
    "manifest-name": (
        "The folder of a cloud has another name than its manifest.",
        "Rename the one or the other.",
    ),
    "manifest-value": (
        "A cloud's manifest holds a pattern that cannot be read, or names what is not there.",
        "Correct the manifest in the folder that `templates` names.",
    ),
    "template-invalid": (
        "A template of a cloud cannot be rendered.",
        "Correct the template in the folder that `templates` names.",
    ),
    **EXPOSURE_CODES,
    **LIFE_CODES,
    **POLICY_CODES,
    **REVIEW_CODES,
    **TASK_CODES,
}
