"""One run from footage or words to a page: stages that resume, a manifest, a lock, and what a watcher sees.

report = run_job(JobRequest(fixed=Path("clip.mp4")), Path("out"))
"""
