"""The telemetry of a process, built once from the standard environment variables."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.kernel.telemetry.logs import Logging
from services.kernel.telemetry.metrics import CallDurations
from services.kernel.telemetry.tracer import DEFAULT_RATIO, Tracer

FILE_VARIABLE: Final = "STOA_TELEMETRY_FILE"
# Calls that take longer are logged, in seconds.
DEFAULT_SLOW: Final = 1.0


class Telemetry:
    """Tracer, histograms and thresholds; with no argument, a process that exports nothing."""

    def __init__(
        self,
        tracer: Tracer | None = None,
        *,
        slow: float = DEFAULT_SLOW,
        logging: Logging | None = None,
        exports: tuple[Any, ...] = (),
    ) -> None:
        self.tracer: Final = tracer or Tracer()
        self.server_durations: Final = CallDurations()
        self.client_durations: Final = CallDurations()
        self.slow: Final = slow
        self._logging: Final = logging
        self._exports = exports

    @classmethod
    def from_environment(
        cls,
        service: str,
        environ: Mapping[str, str] = os.environ,
        *,
        log_level: str = "INFO",
        slow: float = DEFAULT_SLOW,
    ) -> "Telemetry":
        """Configure logs, and what the OTEL_* variables and `STOA_TELEMETRY_FILE` ask for.

        Spans and histograms are sent by OTLP over gRPC where OTEL_TRACES_EXPORTER and
        OTEL_METRICS_EXPORTER are `otlp`, or where they are unset and an endpoint is given.

        Raises:
            ValueError: OTEL_TRACES_SAMPLER or its argument means nothing.
        """
        ratio = _ratio(environ)
        logging = Logging(service, level=log_level)
        off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        spans = not off and _wants_otlp("TRACES", environ)
        metrics = not off and _wants_otlp("METRICS", environ)
        file = environ.get(FILE_VARIABLE)
        if not (spans or metrics or file):
            return cls(slow=slow, logging=logging)
        return cls._exporting(
            service,
            environ,
            ratio=ratio,
            spans=spans,
            metrics=metrics,
            file=Path(file) if file else None,
            slow=slow,
            logging=logging,
        )

    @classmethod
    def _exporting(
        cls,
        service: str,
        environ: Mapping[str, str],
        *,
        ratio: float,
        spans: bool,
        metrics: bool,
        file: Path | None,
        slow: float,
        logging: Logging,
    ) -> "Telemetry":
        from opentelemetry.sdk.resources import Resource

        from services.kernel.telemetry import export

        name = environ.get("OTEL_SERVICE_NAME") or f"stoa-{service}"
        resource = Resource.create({"service.name": name, "service.namespace": "stoa"})
        tracer = Tracer()
        closing: list[Any] = []
        if spans or file:
            provider = export.tracer_provider(resource, otlp=spans, file=file)
            tracer = Tracer(provider.get_tracer(export.SCOPE), ratio)
            closing.append(provider.shutdown)
        telemetry = cls(tracer, slow=slow, logging=logging)
        if metrics:
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

            durations = {
                "rpc.server.call.duration": telemetry.server_durations,
                "rpc.client.call.duration": telemetry.client_durations,
            }
            interval = float(environ.get("OTEL_METRIC_EXPORT_INTERVAL", "60000")) / 1000
            sender = export.DurationsExport(resource, durations, OTLPMetricExporter(), interval)
            closing.append(sender.close)
        telemetry._exports = tuple(closing)
        return telemetry

    def close(self) -> None:
        """Send and write what waits."""
        exports, self._exports = self._exports, ()
        for close in exports:
            close()
        if self._logging is not None:
            self._logging.close()


def _wants_otlp(signal: str, environ: Mapping[str, str]) -> bool:
    named = environ.get(f"OTEL_{signal}_EXPORTER")
    if named is not None:
        return "otlp" in named.split(",")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return any(environ.get(variable) for variable in endpoints)


def _ratio(environ: Mapping[str, str]) -> float:
    """Answer the share of calls without a parent that are recorded, 0 to 1."""
    sampler = environ.get("OTEL_TRACES_SAMPLER", "traceidratio").removeprefix("parentbased_")
    match sampler:
        case "always_on":
            return 1.0
        case "always_off":
            return 0.0
        case "traceidratio":
            ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG") or DEFAULT_RATIO)
            if 0 <= ratio <= 1:
                return ratio
            raise ValueError(f"OTEL_TRACES_SAMPLER_ARG is not from 0 to 1: {ratio}")
        case _:
            raise ValueError(f"OTEL_TRACES_SAMPLER is not supported: {sampler}")
