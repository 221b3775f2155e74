"""What ends a fit in the tests of going on."""


class StopAt:
    """Ends a fit within an epoch."""

    def __init__(self, epoch, step):
        self.at = (epoch, step)

    def on_step(self, event):
        if (event.epoch, event.step) == self.at:
            event.stop("here")
