"""The web app: one page on which clips become a scene to fly through, without commands.

serve(AppSettings())
"""
