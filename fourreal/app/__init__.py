"""The web app: one page on which clips become a scene to fly through, for people who would rather not type commands.

serve(AppOptions())
"""
