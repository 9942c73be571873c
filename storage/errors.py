"""Every error Forgefield raises on purpose, one tree, one class per remedy.

    ForgefieldError
    ├── InputError               change what was asked for (exit code 2)
    │   └── BudgetTooSmall       raise the budget or choose cheaper methods
    ├── MissingProgram           install what is named (exit code 3)
    ├── BudgetExhausted          nothing to mend: the money is spent (exit code 4)
    ├── RunBusy                  another driver holds this run; wait or stop it (exit code 5)
    ├── StorageError             the stored bytes are wrong or can't be written (exit code 6)
    │   ├── AlreadyBought        a job is done or in flight; leave it out of the reservation
    │   └── HoldoutLocked        training asked for the hold-out; leave it to the evaluation
    ├── WaveOfFailures           labels fail one after another; read the reason (exit code 7)
    ├── AuditFailed              a stored label isn't what its method gives (exit code 8)
    ├── TrainingDiverged         lower the learning rate or look at the labels (exit code 9)
    └── LabelError               one label went wrong; the campaign goes on
        ├── BadConfiguration     give up on this configuration at once
        ├── NeedsLargerMachine   more memory or time than a label may have here
        ├── NotConverged         change the solver, then give up
        └── TransientFailure     try the same again

Messages give the offending value and the next step. Only a policy catches a `LabelError`;
only the command line catches the rest.
"""


class ForgefieldError(Exception):
    """Base of the tree. `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(ForgefieldError):
    """The user's input can't be used; nothing was spent."""

    exit_code = 2


class BudgetTooSmall(InputError):
    """The budget doesn't buy the least that a campaign needs; nothing was spent."""


class MissingProgram(ForgefieldError):
    """An optional library that this step needs isn't installed."""

    exit_code = 3


class BudgetExhausted(ForgefieldError):
    """A reservation doesn't fit into what is left of the budget."""

    exit_code = 4


class RunBusy(ForgefieldError):
    """Another process is driving this run folder."""

    exit_code = 5


class StorageError(ForgefieldError):
    """The ledger or the frame store is damaged, locked or can't be written."""

    exit_code = 6


class AlreadyBought(StorageError):
    """A job of the reservation is done or reserved already; nothing was reserved."""


class HoldoutLocked(StorageError):
    """Frames of the hold-out were asked for where a model is trained or chosen."""


class WaveOfFailures(ForgefieldError):
    """So many labels fail in a row that going on would burn the budget."""

    exit_code = 7


class AuditFailed(ForgefieldError):
    """A label of a run differs from what its own method gives, by more than noise."""

    exit_code = 8


class TrainingDiverged(ForgefieldError):
    """The loss of a fit is no number any more; nothing of it was published."""

    exit_code = 9


class LabelError(ForgefieldError):
    """One label failed. The subclass is the remedy."""


class BadConfiguration(LabelError):
    """This geometry can't be labelled by this method; another one can."""


class NeedsLargerMachine(LabelError):
    """The label overran, or would overrun, its memory or time."""


class NotConverged(LabelError):
    """An iterative solver did not converge with any of the settings that were tried."""


class TransientFailure(LabelError):
    """The worker died or the file system hiccuped; the same label may work next time."""
