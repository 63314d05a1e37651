"""An asyncio loop on a thread of its own, for servers that stand beside a test that is not asynchronous."""

import asyncio
import threading


class Loop:
    """Runs until `close`. What runs on it is touched from it alone: others ask by `run` and `soon`."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="chaos-loop", daemon=True)
        self.thread.start()

    def run(self, coroutine, seconds: float = 30):
        """Runs a coroutine on it and returns what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def soon(self, call, *arguments) -> None:
        """Has it call something soon."""
        self.loop.call_soon_threadsafe(call, *arguments)

    def close(self) -> None:
        """Ends it with everything that still runs on it."""
        self.run(self.leave())
        self.soon(self.loop.stop)
        self.thread.join()

    @staticmethod
    async def leave() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
