"""The page at /, and what it asks of the server in partway's own words.

``static`` is what browsers get, as it is: plain ES modules and CSS. `translate` reads what the page sends, `routes`
answers.
"""
