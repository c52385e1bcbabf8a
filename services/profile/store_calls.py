"""Scripts run in one pipeline, and loaded again where a server has lost them. Below the stores."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from services.profile.store_errors import translated


class Scripts:
    """Lua scripts by name, on one client."""

    def __init__(self, redis: Redis, scripts: Mapping[str, str]) -> None:
        self._redis = redis
        self._scripts = scripts
        self._digests: dict[str, str] = {}

    async def run(self, calls: Sequence[tuple[str, list[Any]]]) -> list[Any]:
        """Runs calls (a script's name; number of keys, keys, arguments) in one pipeline and gives
        their answers. Raises StoreUnavailable, StoreForgot."""
        answers: list[Any] = [None] * len(calls)
        left = list(range(len(calls)))
        with translated():
            for _ in range(2):
                if not self._digests:
                    self._digests = {
                        name: str(await self._redis.script_load(text))
                        for name, text in self._scripts.items()
                    }
                pipeline = self._redis.pipeline(transaction=False)
                for place in left:
                    name, arguments = calls[place]
                    pipeline.evalsha(self._digests[name], *arguments)
                for place, answer in zip(
                    left, await pipeline.execute(raise_on_error=False), strict=True
                ):
                    answers[place] = answer
                left = [place for place in left if isinstance(answers[place], NoScriptError)]
                if not left:
                    break
                self._digests = {}
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers
