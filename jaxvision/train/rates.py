"""The learning rate among a task's metrics, so that every run logs it as train/lr."""

from jaxvision.train.optim import Optimizer, learning_rate, plateau_scale
from jaxvision.train.types import Batch, Metrics, Task, TrainState


def log_rate(task: Task, optimizer: Optimizer, steps: int, *, player: str = "", updates: int = 1) -> Task:
    """Add the learning rate of each step to a task's metrics, as "lr" or "lr_<player>".

    The rate is computed inside the compiled step, from the number of the step and, with `schedule="plateau"`, from the
    optimizer's state. That state and the training stay the same as without it.

    Args:
        task: the task that trains with the optimizer.
        optimizer: the settings that gave the task's optax transformation.
        steps: the number that was given to `optimizer.make`.
        player: the key of the optimizer's state in `opt_state`, where several networks have an optimizer each, such as
            "generator"; "" for a single optimizer.
        updates: how often the transformation is applied in one training step.

    Returns:
        The task with one more metric.
    """
    schedule = learning_rate(optimizer, steps)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        rate = schedule(state.step * updates) * plateau_scale(state.opt_state[player] if player else state.opt_state)
        advanced, metrics = task.step(state, batch, axis_name=axis_name)
        return advanced, {**metrics, f"lr_{player}" if player else "lr": rate}

    return task._replace(step=step)


def log_gan_rates(
    task: Task, generator: Optimizer, discriminator: Optimizer, steps: int, discriminator_steps: int
) -> Task:
    """Add the learning rates of a GAN's two optimizers to its metrics, as "lr_generator" and "lr_discriminator".

    Args:
        task: the task in which the networks learn against each other.
        generator: settings of the generator's optimizer, made for `steps`.
        discriminator: settings of the discriminator's, made for `steps * discriminator_steps`.
        steps: training steps of the run.
        discriminator_steps: updates of the discriminator in each of them.

    Returns:
        The task with two more metrics.
    """
    task = log_rate(task, generator, steps, player="generator")
    updates = discriminator_steps
    return log_rate(task, discriminator, steps * updates, player="discriminator", updates=updates)
