"""A stand-in for a function whose memory runs out."""

CPU_WORDS = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. Error code 12"


class Failing:
    """A function that runs out of memory at chosen calls, counted from 1."""

    def __init__(self, function, at=(1,), error=None):
        self.function, self.at, self.calls = function, at, 0
        self.error = error or RuntimeError(CPU_WORDS)

    def __call__(self, *args, **named):
        self.calls += 1
        if self.calls in self.at:
            raise self.error
        return self.function(*args, **named)

    def __get__(self, instance, owner):  # a method where a method was
        return lambda *args, **named: self(instance, *args, **named)
