"""One run from footage or a prompt to a page: stages that resume, a manifest, a lock, and progress for a watcher.

report = run_job(JobRequest(fixed=Path("clip.mp4")), Path("out"))
"""
