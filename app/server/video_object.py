"""A job as OpenAI's clients read it, with what goes beyond: task, seed, num_frames, fps and notes."""

from typing import Any

from ..jobs.job import Job


def video_object(job: Job, model: str) -> dict[str, Any]:
    error = None if job.error is None else {"code": job.code or "server_error", "message": job.error}
    return {
        "id": job.id,
        "object": "video",
        "model": model,
        "status": job.status,
        "progress": job.progress,
        "created_at": int(job.created_at),
        "completed_at": None if job.completed_at is None else int(job.completed_at),
        "expires_at": None if job.expires_at is None else int(job.expires_at),
        "seconds": f"{job.num_frames / job.fps:g}",
        "size": f"{job.width}x{job.height}",
        "prompt": job.request.text,
        "remixed_from_video_id": job.remixed_from,
        "error": error,
        "task": job.request.task,
        "seed": job.request.seed,
        "num_frames": job.num_frames,
        "fps": job.fps,
        "notes": list(job.notes),
    } | ({"steps": job.step_names} if job.request.steps else {})
